"""The running sandbox: sockets, certificates, scripted faults, the log and the admin surface."""
