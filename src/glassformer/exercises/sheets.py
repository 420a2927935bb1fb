"""What each sheet of exercises asks for, in points; and themes, which take their parts from all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from glassformer.errors import UsageError, nearest

HERE = "glassformer.exercises.reference"
NN = "glassformer.nn"


@dataclass(frozen=True)
class Criterion:
    """One line of the points. contract: of the checker; none: a person judges it.

    sizes: what the constructor is given here, such as one head. parts: points for the constructor alone.
    written_out: no ready-made attention counts. also: other names under which a submission may have it.
    """

    title: str
    of: int = 1
    target: str = ""
    contract: str = ""
    also: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    parts: bool = False
    written_out: bool = False


@dataclass(frozen=True)
class Sheet:
    """files: what a skeleton consists of, file -> definitions (`module:name`)."""

    slug: str
    title: str
    files: Mapping[str, tuple[str, ...]]
    criteria: tuple[Criterion, ...]
    by_hand: tuple[Criterion, ...] = ()

    @property
    def of(self) -> int:
        return sum(each.of for each in self.criteria)

    @property
    def targets(self) -> dict[str, Criterion]:
        """What is to be written, each with the last of its criteria, which asks for all of it."""
        return {each.target: each for each in self.criteria}


def _attention(*names: str) -> tuple[str, ...]:
    return tuple(f"{HERE}.attention:{name}" for name in names)


def _parts(*names: str) -> tuple[str, ...]:
    return tuple(f"{HERE}.parts:{name}" for name in names)


MULTI_HEAD = Criterion(
    "multi-head attention", 1, "MultiHeadAttention", "multi-head-attention", written_out=True
)
SINUSOIDAL = Criterion(
    "sinusoidal positions", 1, "SinusoidalPositions", "sinusoidal-positions",
    also=("PositionalEncoding", "SinusoidalPositionalEncoding", "SinusoidalEncoding"),
)  # fmt: skip
LEARNED = Criterion(
    "learned positions", 1, "LearnedPositions", "learned-positions",
    also=("LearnedPositionalEmbedding", "PositionalEmbedding", "LearnedPositionalEncoding"),
)  # fmt: skip
MEAN = Criterion("mean pooling", 1, "MeanPool", "mean-pooling", also=("MeanPooling", "mean_pooling"))
CLS = Criterion("CLS pooling", 1, "ClsPool", "cls-pooling", also=("ClsPooling", "cls_pooling"))
CAUSAL = Criterion("causal mask", 1, "causal_mask", "causal-mask")
PADDING = Criterion("padding mask", 1, "padding_mask", "padding-mask", also=("create_padding_mask",))
FEED_FORWARD = Criterion(
    "feed-forward layer", 1, "FeedForward", "feed-forward",
    also=("FeedForwardBlock", "FeedForwardNetwork", "MLP"),
)  # fmt: skip
NORM = Criterion("layer norm", 1, "LayerNorm", "layer-norm")
LOSS = Criterion("cross-entropy on shifted targets", 1, "next_token_loss", "cross-entropy")
NUMPY = Criterion("backward pass in NumPy", 1, "backward", "numpy-backward")
SIMPLE = Criterion(
    "self-attention without parameters",
    1,
    "parameter_free_attention",
    "parameter-free-self-attention",
    written_out=True,
)
ONE_HEAD = Criterion("self-attention", 1, "SelfAttention", "self-attention", written_out=True)
PATCHIFY = Criterion("patchify", 1, "patchify", "patchify")

SHEETS: Mapping[str, Sheet] = {
    each.slug: each
    for each in (
        Sheet(
            "A",
            "Sentiment classification of film reviews",
            {
                "transformer.py": (
                    *_attention("MultiHeadAttention"),
                    *_parts("SinusoidalPositions"),
                    f"{NN}.positions:LearnedPositions",
                    f"{NN}.pooling:MeanPool",
                    f"{NN}.pooling:ClsPool",
                )
            },
            (MULTI_HEAD, SINUSOIDAL, LEARNED, MEAN, CLS),
            (
                Criterion("training and evaluation on IMDB"),
                Criterion("how choices change performance"),
                Criterion("fine-tuned BERT"),
                Criterion("report"),
            ),
        ),
        Sheet(
            "B",
            "A transformer classifier and the parity task",
            {
                "transformer.py": (
                    *_attention("SelfAttention", "MultiHeadSelfAttention"),
                    f"{HERE}.sheet_b:TransformerBlock",
                    f"{HERE}.sheet_b:TransformerClassifier",
                )
            },
            (
                ONE_HEAD,
                Criterion(
                    "multi-head self-attention", 1, "MultiHeadSelfAttention", "multi-head-attention",
                    also=("MultiHeadAttention",), written_out=True,
                ),
                Criterion("transformer block", 1, "TransformerBlock", "transformer-block", written_out=True),
                Criterion("classifier", 1, "TransformerClassifier", "text-classifier", written_out=True),
            ),
            (Criterion("parity: the smallest configuration above 95%"),),
        ),
        Sheet(
            "C",
            "Self-attention in 2-D and a vision transformer",
            {
                "vit.py": (
                    f"{HERE}.sheet_c:SelfAttention2d",
                    f"{HERE}.sheet_c:FeedForwardBlock",
                    f"{HERE}.sheet_c:SelfAttentionTransformerBlock",
                    f"{NN}.patches:patchify",
                    f"{HERE}.sheet_c:VisionTransformer",
                )
            },
            (
                Criterion(
                    "SelfAttention2d: modules", 1, "SelfAttention2d", "self-attention-2d",
                    parts=True, written_out=True,
                ),
                Criterion(
                    "SelfAttention2d: one head", 3, "SelfAttention2d", "self-attention-2d",
                    sizes={"heads": 1}, written_out=True,
                ),
                Criterion(
                    "SelfAttention2d: several heads", 2, "SelfAttention2d", "self-attention-2d",
                    sizes={"heads": 3}, written_out=True,
                ),
                Criterion(
                    "FeedForwardBlock", 1, "FeedForwardBlock", "feed-forward", also=("FeedForward", "MLP")
                ),
                Criterion(
                    "SelfAttentionTransformerBlock", 2, "SelfAttentionTransformerBlock", "transformer-block",
                    also=("TransformerBlock",), written_out=True,
                ),
                Criterion(
                    "VisionTransformer: modules", 2, "VisionTransformer", "vision-transformer",
                    also=("ViT",), parts=True, written_out=True,
                ),
                Criterion("VisionTransformer: patchify", 2, "patchify", "patchify"),
                Criterion(
                    "VisionTransformer: forward", 1, "VisionTransformer", "vision-transformer",
                    also=("ViT",), written_out=True,
                ),
            ),
            (
                Criterion("CIFAR-10 above 25%", 2),
                Criterion("CIFAR-10 above 50%", 2),
                Criterion("CIFAR-10 above 70%", 2),
            ),
        ),
        Sheet(
            "D",
            "Self-attention, a transformer block, sentiment against an RNN",
            {
                "transformer.py": (
                    f"{NN}.attention:parameter_free_attention_loops",
                    f"{NN}.attention:parameter_free_attention",
                    *_attention("SelfAttention", "WideMultiHeadAttention"),
                    f"{HERE}.sheet_d:TransformerBlock",
                    f"{HERE}.sheet_d:TextClassificationTransformer",
                )
            },
            (
                Criterion(
                    "self-attention without parameters, as a sum", 1, "parameter_free_attention_loops",
                    "parameter-free-self-attention", written_out=True,
                ),
                Criterion(
                    "self-attention without parameters, in matrices", 1, "parameter_free_attention",
                    "parameter-free-self-attention", written_out=True,
                ),
                ONE_HEAD,
                Criterion(
                    "multi-head attention through wide maps", 1, "WideMultiHeadAttention",
                    "multi-head-attention", also=("MultiHeadAttention", "MultiHeadSelfAttention"),
                    written_out=True,
                ),
                Criterion("transformer block", 1, "TransformerBlock", "transformer-block", written_out=True),
                Criterion(
                    "classifier", 1, "TextClassificationTransformer", "text-classifier", written_out=True
                ),
            ),
            (
                Criterion("why Q, K and V have maps of their own, why the product is divided"),
                Criterion("TextClassificationRNN"),
                Criterion("training and evaluation of both, and the effect of hyper-parameters"),
            ),
        ),
        Sheet(
            "E",
            "A neural network and a transformer from scratch",
            {
                "network.py": ("glassformer.baselines.network:sigmoid", f"{HERE}.sheet_e:backward"),
                "transformer.py": (
                    *_parts("SinusoidalPositions", "LayerNorm", "causal_mask", "padding_mask"),
                    *_attention("MultiHeadAttention"),
                    f"{NN}.feedforward:FeedForward",
                    f"{HERE}.sheet_e:EncoderBlock",
                    f"{HERE}.sheet_e:DecoderBlock",
                    f"{HERE}.sheet_e:EncoderDecoder",
                    *_parts("next_token_loss"),
                ),
            },
            (
                NUMPY,
                SINUSOIDAL,
                NORM,
                CAUSAL,
                PADDING,
                MULTI_HEAD,
                FEED_FORWARD,
                Criterion(
                    "encoder block", 1, "EncoderBlock", "transformer-block",
                    also=("EncoderLayer", "TransformerBlock"), written_out=True,
                ),
                Criterion(
                    "decoder block", 1, "DecoderBlock", "decoder-block",
                    also=("DecoderLayer",), written_out=True,
                ),
                Criterion(
                    "encoder-decoder", 1, "EncoderDecoder", "encoder-decoder",
                    also=("Transformer", "Seq2SeqTransformer"), written_out=True,
                ),
                LOSS,
            ),
            (
                Criterion("data, split, logistic regression against the network"),
                Criterion("the explanation of 'self-learning'"),
                Criterion("reversal: data, training, a function that generates"),
                Criterion("diagram"),
                Criterion("evaluation"),
            ),
        ),
        Sheet(
            "attention",
            "Attention, from a function to several heads",
            {
                "attention.py": (
                    f"{NN}.attention:parameter_free_attention",
                    *_attention("scaled_dot_product_attention", "SelfAttention", "MultiHeadAttention"),
                )
            },
            (
                SIMPLE,
                Criterion(
                    "scaled dot-product attention", 1, "scaled_dot_product_attention", "attention",
                    also=("attention",), written_out=True,
                ),
                ONE_HEAD,
                MULTI_HEAD,
            ),
        ),
        Sheet(
            "positions",
            "Where a token stands",
            {"positions.py": (*_parts("SinusoidalPositions"), f"{NN}.positions:LearnedPositions")},
            (SINUSOIDAL, LEARNED),
        ),
        Sheet(
            "masks",
            "Which token may see which, and which tokens count",
            {
                "masks.py": (
                    *_parts("causal_mask", "padding_mask"),
                    f"{NN}.pooling:MeanPool",
                    f"{NN}.pooling:ClsPool",
                    *_parts("next_token_loss"),
                )
            },
            (CAUSAL, PADDING, MEAN, CLS, LOSS),
        ),
        Sheet(
            "blocks",
            "Blocks of an encoder and a decoder",
            {
                "blocks.py": (
                    *_parts("LayerNorm"),
                    f"{NN}.feedforward:FeedForward",
                    *_attention("MultiHeadAttention"),
                    f"{HERE}.sheet_e:EncoderBlock",
                    f"{HERE}.sheet_e:DecoderBlock",
                )
            },
            (
                NORM,
                FEED_FORWARD,
                MULTI_HEAD,
                Criterion("encoder block", 1, "EncoderBlock", "transformer-block", written_out=True),
                Criterion("decoder block", 1, "DecoderBlock", "decoder-block", written_out=True),
            ),
        ),
        Sheet(
            "vision",
            "Images as tokens",
            {
                "vision.py": (
                    f"{NN}.patches:patchify",
                    f"{NN}.patches:PatchEmbedding",
                    f"{HERE}.sheet_c:SelfAttention2d",
                )
            },
            (
                PATCHIFY,
                Criterion("patch embedding", 1, "PatchEmbedding", "patch-embedding"),
                Criterion(
                    "self-attention over a grid", 1, "SelfAttention2d", "self-attention-2d", written_out=True
                ),
            ),
        ),
        Sheet(
            "network",
            "A backward pass in NumPy",
            {"network.py": ("glassformer.baselines.network:sigmoid", f"{HERE}.sheet_e:backward")},
            (NUMPY,),
        ),
    )
}  # fmt: skip
"""A to E, then the themes."""

SHAPES: Mapping[str, str] = {
    "scaled_dot_product_attention": (
        "scaled_dot_product_attention(torch.randn(2, 5, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 6)).shape"
        " == (2, 5, 6)"
    ),
    "parameter_free_attention": "parameter_free_attention(torch.randn(2, 5, 8)).shape == (2, 5, 8)",
    "parameter_free_attention_loops": (
        "parameter_free_attention_loops(torch.randn(2, 5, 8)).shape == (2, 5, 8)"
    ),
    "SelfAttention": "SelfAttention(24, 8)(torch.randn(2, 5, 24)).shape == (2, 5, 8)",
    "MultiHeadSelfAttention": "MultiHeadSelfAttention(24, 3)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "MultiHeadAttention": (
        "MultiHeadAttention(24, 3)(torch.randn(2, 5, 24), torch.randn(2, 7, 24)).shape == (2, 5, 24)"
    ),
    "WideMultiHeadAttention": "WideMultiHeadAttention(24, 3)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "SelfAttention2d": "SelfAttention2d(24, 3)(torch.randn(2, 24, 5, 7)).shape == (2, 24, 5, 7)",
    "SinusoidalPositions": "SinusoidalPositions(24)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "LearnedPositions": "LearnedPositions(24, 9)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "MeanPool": "MeanPool()(torch.randn(2, 5, 24)).shape == (2, 24)",
    "ClsPool": "ClsPool()(torch.randn(2, 5, 24)).shape == (2, 24)",
    "causal_mask": "causal_mask(5).tolist()[1] == [True, True, False, False, False]",
    "padding_mask": "padding_mask(torch.tensor([2, 1]), 2).tolist() == [[True, True], [True, False]]",
    "FeedForward": "FeedForward(24, 40)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "FeedForwardBlock": "FeedForwardBlock(24, 40)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "LayerNorm": "LayerNorm(24)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "TransformerBlock": "TransformerBlock(24, 3, 40)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "SelfAttentionTransformerBlock": (
        "SelfAttentionTransformerBlock(24, 3, 40)(torch.randn(2, 5, 24)).shape == (2, 5, 24)"
    ),
    "EncoderBlock": "EncoderBlock(24, 3, 40)(torch.randn(2, 5, 24)).shape == (2, 5, 24)",
    "DecoderBlock": (
        "DecoderBlock(24, 3, 40)(torch.randn(2, 5, 24), torch.randn(2, 7, 24)).shape == (2, 5, 24)"
    ),
    "TransformerClassifier": (
        "TransformerClassifier(11, 2, 24, 3, 2, 40)(torch.randint(11, (2, 5))).shape == (2, 2)"
    ),
    "TextClassificationTransformer": (
        "TextClassificationTransformer(11, 2, 9, 24, 3, 2, 40)(torch.randint(11, (2, 5))).shape == (2, 2)"
    ),
    "EncoderDecoder": (
        "EncoderDecoder(11, 24, 3, 2, 40)(torch.randint(11, (2, 5)), torch.randint(11, (2, 4))).shape"
        " == (2, 4, 11)"
    ),
    "patchify": "patchify(torch.randn(2, 3, 8, 12), 4).shape == (2, 6, 48)",
    "PatchEmbedding": "PatchEmbedding(3, 4, 24)(torch.randn(2, 3, 8, 12)).shape == (2, 6, 24)",
    "VisionTransformer": (
        "VisionTransformer(8, 4, 3, 10, 24, 2, 3, 40)(torch.randn(2, 3, 8, 8)).shape == (2, 10)"
    ),
    "next_token_loss": "next_token_loss(torch.randn(2, 5, 11), torch.randint(1, 11, (2, 5))).shape == ()",
    "backward": (
        "[each.shape for each in backward(np.ones((5, 3)), np.array([0, 1, 0, 1, 1]), np.ones((3, 4)),"
        " np.ones(4), np.ones((4, 1)), np.ones(1))] == [(3, 4), (4,), (4, 1), (1,)]"
    ),
}
"""What is to be written -> a sentence about its output that holds when it is."""


def sheet(name: str) -> Sheet:
    """The sheet or theme of this name, in upper or lower case."""
    found = {each.lower(): each for each in SHEETS}.get(name.strip().lower())
    if found is None:
        raise UsageError(f"there is no sheet {name!r}; {nearest(name, list(SHEETS))}")
    return SHEETS[found]
