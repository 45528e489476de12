"""Maps between what different rigs mean by an expression, each fitted on the head models that a user has."""
