"""How the store is reached: connections, the store-wide lock, what a database's errors mean."""
