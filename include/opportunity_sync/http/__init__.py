"""One exchange with a remote system over HTTP: bounded, tried again, judged, free of secrets."""
