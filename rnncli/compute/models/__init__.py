"""A graph and its inputs, as the Cases of its recurrent layers; one file for each kind of model."""
