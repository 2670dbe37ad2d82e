"""The page of results inside Airflow: the published warehouse, read-only. Building it belongs to `publish`."""
