"""Ways to carry messages between the same ServerApp and the same ClientApps."""
