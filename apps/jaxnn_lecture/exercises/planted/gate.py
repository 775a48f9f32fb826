"""Exercise 12 of jaxnn-lecture: a gate, as the GRU has it.

G, H and C have the same shape: the gate, the old state and the candidate for the new one.

    A = G H + (1 − G) C

backward is wrong in one place.  Mend it and leave forward as it is; then:
    jaxnn-lecture --check FILE
"""

from jaxnn import Layer


def init(key, GHC):
    return ()


def forward(params, GHC, key=None):
    G, H, C = GHC
    return G * H + (1 - G) * C, GHC


def backward(params, GHC, dA):
    G, H, C = GHC
    dG = dA * (C - H)
    dH = dA * G
    dC = dA * (1 - G)
    return (), (dG, dH, dC)


layer = Layer("gate", init, forward, backward)
