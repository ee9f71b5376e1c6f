"""Who reads: the connection's credentials, the token they bring, the session that carries it."""
