"""The web console: its sources in `web/`, what is built of them in `dist/`, and the routes that serve it."""
