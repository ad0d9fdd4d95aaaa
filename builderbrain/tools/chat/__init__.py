"""What is said in one turn of a conversation: text alone, with nothing outside that changes."""
