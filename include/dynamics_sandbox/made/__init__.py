"""Made-up rows: an organisation from a seed, with every case of the association rules in it."""
