"""Weft and Synapse, measured in one run by one load generator.

`__main__` of the folder above reads the command line; `run` takes turns between the servers; `scenarios` is the work
that is measured and `targets` what is asked of Weft; `synapse` and `weft` know how each server is installed, set up and
started, `process` what is the same for both; `people` speaks the Client-Server API over the connections of `load`;
`report` writes the table.

Both servers keep to the Client-Server API, so nothing but those two files knows which one is being measured.
"""
