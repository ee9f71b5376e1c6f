"""The rows of a page as typed Arrow columns, and those that have to be refused."""
