"""The language of requests and answers: query options, filters, paging tokens, JSON, refusals."""
