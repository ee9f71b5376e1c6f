"""The token service: Microsoft Entra ID and the managed-identity endpoints."""
