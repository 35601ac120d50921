"""Digital patients and the recipes that they are made from. Knows no federation."""
