"""How Airflow runs a verb, sees the landing zone and shows results. Physics and steps do not belong here."""
