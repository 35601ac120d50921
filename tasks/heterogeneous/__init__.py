"""Learning jointly where each hospital measures something else: the multi-channel variational autoencoder."""
