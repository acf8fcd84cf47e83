"""A network that makes one grid of many views: per voxel, weights for what the views show of it, and what to change.

Weights as in IBRNet (Wang et al., CVPR 2021): a small network sees each colour, how it differs from the others, and how well
the view sees the voxel; a softmax over all colours of the voxel says what each counts. Departs from it in that a voxel of a
coarse scene is there to begin with, so that the network says what is to change, and in that it looks at neighbouring voxels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.rendering.unprojection import Observations

COLOUR_MARGIN = 0.01  # colours stay that far from 0 and 1, where the sigmoid cannot reach
DETAIL = 0.1  # what colours of different views differ by, about
FACTS = 10  # of a colour: from the coarse one, from the mean, spread in its view, gap, cosine, spread over all
OUTPUTS = 5  # of a voxel: density before the softplus, share of the views' colour, colours before the sigmoid


class ViewFusion(nn.Module):
    """Changes the features of voxels, density before the softplus and colour before the sigmoid, by what views show of them.

    Untrained it changes nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Linear(FACTS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.weight = nn.Linear(width, 1)
        self.join = nn.Sequential(nn.Linear(width + 9, width), nn.SiLU())
        self.around = nn.Linear(27 * width, width)
        self.change = nn.Linear(width, OUTPUTS)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def weights(self, features: Tensor, views: Observations, voxel: float) -> tuple[Tensor, Tensor]:
        """What each colour counts (R, M, K), in all 1 for a voxel, and what it says (R, M, K, width).

        features (R, 4) of the voxels, each of which some view shows; voxel: their side, world units.
        """
        colours, seen = views.colours.float(), views.seen[..., None, None]
        count = (views.colours.shape[2] * views.seen.sum(1)).clamp_min(1)[:, None]
        mean = (seen * colours).sum((1, 2)) / count
        apart = seen * (colours - mean[:, None, None])
        spread = (apart.square().sum((1, 2, 3)) / count[:, 0]).sqrt()
        among = (colours - colours.mean(2, keepdim=True)).square().mean((2, 3), keepdim=True).sqrt()
        shape = (*colours.shape[:3], 1)
        facts = [
            (colours - torch.sigmoid(features[:, None, None, 1:])) / DETAIL,
            apart / DETAIL,
            among.expand(shape) / DETAIL,
            (views.gap / voxel)[..., None, None].expand(shape),
            views.cosine[..., None, None].expand(shape),
            (spread / DETAIL)[:, None, None, None].expand(shape),
        ]
        said = self.look(torch.cat(facts, -1))
        logits = self.weight(said).masked_fill(~seen, -torch.inf)
        return torch.softmax(logits[..., 0].flatten(1), 1).reshape(shape[:3]), said

    def forward(self, features: Tensor, views: Observations, neighbours: Tensor, voxel: float) -> Tensor:
        """Changed features (R, 4) of R voxels, from those they have.

        neighbours (R, 27): the rows of the voxels around each and of itself, counted from 1; 0 where there is none.
        """
        weights, said = self.weights(features, views, voxel)
        colour = (weights[..., None] * views.colours.float()).sum((1, 2))
        coarse = torch.sigmoid(features[:, 1:])
        shown = torch.logit(colour.clamp(COLOUR_MARGIN, 1 - COLOUR_MARGIN)) - features[:, 1:]
        facts = [
            (weights[..., None] * said).sum((1, 2)),
            (colour - coarse) / DETAIL,
            coarse,
            features[:, :1].clamp(-8, 8) / 8,
            views.cosine.amax(1, keepdim=True),
            views.seen.float().mean(1, keepdim=True),
        ]
        joined = self.join(torch.cat(facts, 1))
        padded = torch.cat([joined.new_zeros(1, joined.shape[1]), joined])
        around = padded.index_select(0, neighbours.flatten()).reshape(len(joined), 27 * joined.shape[1])
        density, share, own = self.change(F.silu(self.around(around))).split([1, 1, 3], 1)
        return features + torch.cat([density, share * shown + own], 1)


def neighbours_of(index: Tensor, voxels: Tensor) -> Tensor:
    """Rows (R, 27) of a (n, n, n) table of rows at and around its places `voxels` (R,), flat; 0 beyond the border."""
    size = index.shape[0]
    padded = F.pad(index, (1, 1, 1, 1, 1, 1)).flatten()
    z, rest = torch.div(voxels, size**2, rounding_mode="floor"), voxels % size**2
    y, x = torch.div(rest, size, rounding_mode="floor"), rest % size
    step = torch.arange(3, device=voxels.device)
    side = size + 2
    around = (step[:, None, None] * side + step[:, None]) * side + step
    return padded[((z * side + y) * side + x)[:, None] + around.flatten()]
