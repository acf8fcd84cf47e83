"""A network that makes one grid of many views: per voxel, weights for what the views show of it, and what to change.

Weights as in IBRNet (Wang et al., CVPR 2021): a small network sees each value, how it differs from the others, and how well
the view sees the voxel; a softmax over all values of the voxel says what each counts. Departs from it in that values are not
colours, but what pictures add to the render of a coarse scene, in which blurred detail would else be averaged away; that the
network says what is to change in that scene; and that it looks at neighbouring voxels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.rendering.unprojection import Observations

COLOUR_MARGIN = 0.01  # colours stay that far from 0 and 1, where the sigmoid cannot reach
DETAIL = 0.1  # what pictures add, about
FACTS = 10  # of a value: itself, from the mean, spread in its view, gap, cosine, spread over all
REACH = 2  # convolutions, each of which looks one voxel farther
OUTPUTS = 5  # of a voxel: density before the softplus, share of what the views add, colours before the sigmoid


class ViewFusion(nn.Module):
    """Changes the features of voxels, density before the softplus and colour before the sigmoid, by what views add to them.

    Untrained it changes nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Linear(FACTS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.weight = nn.Linear(width, 1)
        self.join = nn.Linear(width + 9, width)
        self.around = nn.ModuleList(nn.Linear(27 * width, width) for _ in range(REACH))
        self.change = nn.Linear(width, OUTPUTS)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def weights(self, views: Observations, voxel: float) -> tuple[Tensor, Tensor]:
        """What each value of R voxels counts (R, M, K), in all 1 for a voxel, and what it says (R, M, K, width).

        Some view shows each voxel. voxel: their side, world units.
        """
        values, seen = views.values.float(), views.seen[..., None, None]
        count = (values.shape[2] * views.seen.sum(1)).clamp_min(1)[:, None]
        apart = seen * (values - ((seen * values).sum((1, 2)) / count)[:, None, None])
        spread = (apart.square().sum((1, 2, 3)) / count[:, 0]).sqrt()
        among = (values - values.mean(2, keepdim=True)).square().mean((2, 3), keepdim=True).sqrt()
        shape = (*values.shape[:3], 1)
        facts = [
            values / DETAIL,
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
        weights, said = self.weights(views, voxel)
        added = (weights[..., None] * views.values.float()).sum((1, 2))
        colour = torch.sigmoid(features[:, 1:])
        facts = [
            (weights[..., None] * said).sum((1, 2)),
            added / DETAIL,
            colour,
            features[:, :1].clamp(-8, 8) / 8,
            views.cosine.amax(1, keepdim=True),
            views.seen.float().mean(1, keepdim=True),
        ]
        hidden = F.silu(self.join(torch.cat(facts, 1)))
        for layer in self.around:
            padded = torch.cat([hidden.new_zeros(1, hidden.shape[1]), hidden])
            around = padded.index_select(0, neighbours.flatten()).reshape(len(hidden), 27 * hidden.shape[1])
            hidden = hidden + F.silu(layer(around))
        density, share, own = self.change(hidden).split([1, 1, 3], 1)
        before, after = (torch.logit(each.clamp(COLOUR_MARGIN, 1 - COLOUR_MARGIN)) for each in (colour, colour + added))
        return features + torch.cat([density, share * (after - before) + own], 1)


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
