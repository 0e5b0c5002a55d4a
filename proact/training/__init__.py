"""From preference pairs to a policy, and from a policy to files that others can use."""
