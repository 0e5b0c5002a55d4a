"""`proact` and `python -m proact`: the way into the command line."""

import signal


def main() -> None:
    """Run the command line. A Ctrl-C while it is still being imported ends the process as it would end any other."""
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if default:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from proact import cli

    if default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # Who is ended by the system, too, takes half-written files along.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
