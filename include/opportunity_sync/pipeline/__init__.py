"""What the tasks of a run do, in the order of the DAG, each in a module of its own.

`beginning`, `extraction`, `transformation`, `loading`, `ending`. They are not gathered here: each
task is a process of its own and imports its own module, so that only `transform`, and `load`
which may have to resolve again, wait for pandas.
"""
