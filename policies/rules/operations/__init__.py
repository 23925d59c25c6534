"""Operations: an update waits for what it makes, applies it the right way, and shows what it does."""
