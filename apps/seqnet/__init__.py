"""seqnet: classifies texts and spoken words, and writes names; an application of jaxnn."""
