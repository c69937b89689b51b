"""From a data set to a calibrated head, and to an encoder that has learned too."""
