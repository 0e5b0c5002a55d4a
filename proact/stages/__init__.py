"""One file per subcommand: file name, stage name and command are the same word."""
