"""The page: one module per tab, handlers are plain functions."""
