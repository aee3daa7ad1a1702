"""Real Kafka and Postgres as children of our own process, from Python packages alone: no containers, no root."""
