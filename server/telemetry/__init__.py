"""What machines are told about studies: numbers as Prometheus text, and MLflow where it is installed."""
