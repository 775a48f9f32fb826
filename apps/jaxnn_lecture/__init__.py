"""jaxnn_lecture: the claims of the classic deep learning lecture, each measured, in one page."""
