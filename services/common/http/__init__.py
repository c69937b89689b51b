"""What stands between the network and a route: limits, time-outs, and the answers to what cannot be served."""
