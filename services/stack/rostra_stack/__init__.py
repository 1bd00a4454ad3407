"""The whole of Rostra as child processes on one machine, with embedded stores."""
