"""Initial weights that already copy.

A transformer finds the circuit that copies from its context, a "previous token" head followed by an "induction" head, only
after many millions of tokens; a quickstart has two million. So the circuit is laid into the random start, and training
begins with a model that copies and has to learn only the rewriting.
Source: the circuit, Olsson et al., arXiv:2209.11895; structured starts, Trockman and Kolter, arXiv:2305.09828.

A token's vector has three parts: its own, and two slots in which layer 0 notes the tokens one and two places back. Layer 1
looks for the place whose two predecessors are the two tokens at hand, and fetches what stands there.
"""

SHARPNESS = 6.0  # of the heads that look a fixed number of places back: amplitude of their biases
MATCH = 2.0  # scale of the query and key that compare tokens
SHARE_NEAR = 0.6  # of the compared dimensions, for the token at hand; the others compare its predecessor
EMBEDDING, NOTE, FETCH = 0.1, 0.1, 1.0  # scales of what is written into the stream
SLOW = 0.01  # radians a token: rotary frequencies below it hardly disturb a comparison at a distance


def lay_copying_circuit(model) -> None:
    """Overwrite the start of a LlamaForCausalLM with attention biases, at least three heads wide and two layers deep."""
    import torch

    width, head = model.config.hidden_size, model.config.head_dim
    own = width - 2 * head  # then the slots, each as wide as a head
    frequencies = model.model.rotary_emb.inv_freq
    embedding, layers = model.model.embed_tokens.weight, model.model.layers
    with torch.no_grad():
        torch.nn.init.normal_(embedding, std=EMBEDDING)
        embedding[:, own:] = 0
        for layer in layers:
            layer.mlp.down_proj.weight.zero_()
            layer.self_attn.o_proj.weight.zero_()
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
                torch.nn.init.normal_(projection.weight, std=width**-0.5)
        for back in (1, 2):
            _note_predecessor(layers[0].self_attn, back, head, own, frequencies)
        _fetch_successor(layers[1].self_attn, head, own, (frequencies < SLOW).nonzero().flatten())


def _note_predecessor(attention, back: int, head: int, own: int, frequencies) -> None:
    """Make a head that sees only the token `back` places before, whatever it is, and copies it into a slot."""
    import torch

    rows = slice((back - 1) * head, back * head)
    slot = slice(own + (back - 1) * head, own + back * head)
    turn = frequencies * back  # the rotary embedding turns the key back by as much at this distance, and at no other
    attention.q_proj.weight[rows] = attention.k_proj.weight[rows] = 0
    attention.q_proj.bias[rows] = SHARPNESS * torch.cat([torch.ones_like(turn), torch.zeros_like(turn)])
    attention.k_proj.bias[rows] = SHARPNESS * torch.cat([turn.cos(), turn.sin()])
    attention.v_proj.weight[rows] = torch.eye(head, attention.v_proj.in_features)
    attention.o_proj.weight[slot, rows] = NOTE * torch.eye(head)


def _fetch_successor(attention, head: int, own: int, slow) -> None:
    """Make a head that seeks the place after the two tokens at hand and adds the token there to the stream."""
    import torch

    width = attention.q_proj.in_features
    stream = MATCH * torch.eye(width)
    dimensions = torch.cat([slow, slow + head // 2])  # a frequency turns the dimensions i and i + head / 2
    dimensions = dimensions[torch.randperm(len(dimensions))]
    near, far = dimensions.tensor_split([int(SHARE_NEAR * len(dimensions))])
    query, key = torch.zeros(head, width), torch.zeros(head, width)
    query[near], key[near] = stream[: len(near)], stream[own : own + len(near)]
    query[far], key[far] = stream[own : own + len(far)], stream[own + head : own + head + len(far)]
    attention.q_proj.weight[:head], attention.k_proj.weight[:head] = query, key
    attention.v_proj.weight[:head] = torch.eye(head, width)
    attention.o_proj.weight[:, :head] = FETCH * torch.eye(width, head)
