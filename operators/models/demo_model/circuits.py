"""Initial weights that already copy.

A transformer finds the circuit that copies from its context, "previous token" heads followed by an "induction" head, only
after many millions of tokens; a quickstart has two million. So the circuit is laid into the random start, and training
begins with a model that copies and has to learn only the rewriting.
Source: the circuit, Olsson et al., arXiv:2209.11895; structured starts, Trockman and Kolter, arXiv:2305.09828.

The stream has a part for the token at hand and three slots, in which layer 0 notes the tokens one, two and three places back.
Layer 1 looks for the place whose three predecessors are the last three tokens, and fetches what stands there.
"""

BACK = 3  # predecessors noted, one head each
SHARPNESS = 6.0  # of the heads that look a fixed number of places back: amplitude of their biases
MATCH = 2.0  # scale of the queries and keys that compare tokens
EMBEDDING, NOTE, FETCH = 0.1, 0.1, 1.0  # scales of what is written into the stream
SLOW = 0.01  # radians a token: rotary frequencies below it hardly disturb a comparison at a distance


def lay_copying_circuit(model) -> None:
    """Overwrite the start of a LlamaForCausalLM with attention biases, two layers deep and three heads wide at least."""
    import torch

    width, head = model.config.hidden_size, model.config.head_dim
    frequencies = model.model.rotary_emb.inv_freq
    embedding, layers = model.model.embed_tokens.weight, model.model.layers
    with torch.no_grad():
        torch.nn.init.normal_(embedding, std=EMBEDDING)
        embedding[:, _slot(1, width, head).start :] = 0
        for layer in layers:
            layer.mlp.down_proj.weight.zero_()
            layer.self_attn.o_proj.weight.zero_()
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
                torch.nn.init.normal_(projection.weight, std=width**-0.5)
        for back in range(1, BACK + 1):
            _note_predecessor(layers[0].self_attn, back, head, frequencies)
        _fetch_successor(layers[1].self_attn, head, (frequencies < SLOW).nonzero().flatten())


def _slot(back: int, width: int, head: int) -> slice:
    """Say where the stream holds the token `back` places before (0: the token at hand)."""
    size = head // 2
    own = width - BACK * size
    return slice(own + (back - 1) * size, own + back * size) if back else slice(0, own)


def _note_predecessor(attention, back: int, head: int, frequencies) -> None:
    """Make a head that sees only the token `back` places before, whatever it is, and copies it into its slot."""
    import torch

    width = attention.q_proj.in_features
    rows, slot = slice((back - 1) * head, back * head), _slot(back, width, head)
    turn = frequencies * back  # the rotary embedding undoes this turn of the key at this distance and at no other
    attention.q_proj.weight[rows] = attention.k_proj.weight[rows] = 0
    attention.q_proj.bias[rows] = SHARPNESS * torch.cat([torch.ones_like(turn), torch.zeros_like(turn)])
    attention.k_proj.bias[rows] = SHARPNESS * torch.cat([turn.cos(), turn.sin()])
    attention.v_proj.weight[rows] = torch.eye(head, width)
    attention.o_proj.weight[slot, rows] = NOTE * torch.eye(head // 2, head)


def _fetch_successor(attention, head: int, slow) -> None:
    """Make a head that seeks the place after the tokens at hand and adds the token there to the stream."""
    import torch

    width = attention.q_proj.in_features
    stream = MATCH * torch.eye(width)
    query, key = torch.zeros(head, width), torch.zeros(head, width)
    dimensions = torch.cat([slow, slow + head // 2])  # a frequency turns the dimensions i and i + head / 2
    dimensions = dimensions[torch.randperm(len(dimensions))]
    for back, compared in enumerate(dimensions.tensor_split(BACK)):
        query[compared] = stream[_slot(back, width, head)][: len(compared)]
        key[compared] = stream[_slot(back + 1, width, head)][: len(compared)]
    attention.q_proj.weight[:head], attention.k_proj.weight[:head] = query, key
    attention.v_proj.weight[:head] = torch.eye(head, width)
    attention.o_proj.weight[:, :head] = FETCH * torch.eye(width, head)
