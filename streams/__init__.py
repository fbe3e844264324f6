"""What runs: the Faust app, its transport, the worker, the sink and the command line."""
