"""The pure centre: association rules and what they are applied to; frames in, frames out."""
