"""The sandbox's own processes: standard library only, loaded by path, so that proact cannot be imported there.

A supervisor starts one judge and one zygote per worker. The judge holds the tests, the zygote forks one child per
program (or per batch), and the child talks to the judge alone, in data.
"""
