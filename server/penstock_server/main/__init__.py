"""Where the parts meet: settings, assembly, start and stop order, telemetry, the command `penstock-server`."""
