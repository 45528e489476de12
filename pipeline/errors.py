"""The errors that a person sees."""


class UserError(ValueError):
    """Something that the person who caused it can mend: one sentence with the value and what would be right.

    The command line prints it and exits with 2; the page shows the same sentence. Anything else that is raised is our
    own defect and keeps its traceback.
    """


class MotionError(UserError):
    """A motion file that cannot be used, and why."""
