"""One module per kind of observable: settings of its estimator, its rows. Formulas are in `physics`."""
