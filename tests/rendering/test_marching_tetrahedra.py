"""Marching tetrahedra on analytic shapes."""

import math

import pytest
import torch
import trimesh

from holofusion.rendering.marching_tetrahedra import marching_tetrahedra, tetrahedral_grid


def mesh_of(vertices, sdf, tetrahedra):
    surface, faces = marching_tetrahedra(vertices, sdf, tetrahedra)
    return trimesh.Trimesh(surface.detach().numpy(), faces.numpy(), process=False)


def test_tetrahedra_fill_the_cube_with_positive_volumes():
    vertices, tetrahedra = tetrahedral_grid(3)
    a, b, c, d = vertices[tetrahedra].unbind(1)
    volumes = torch.linalg.det(torch.stack([b - a, c - a, d - a], 1)) / 6
    assert (volumes > 0).all() and float(volumes.sum()) == pytest.approx(8, rel=1e-5)


def test_a_sphere_is_closed_of_euler_characteristic_two_and_within_a_cell_of_its_radius():
    vertices, tetrahedra = tetrahedral_grid(20)
    mesh = mesh_of(vertices, vertices.norm(dim=1) - 0.7, tetrahedra)
    radii = torch.from_numpy(mesh.vertices.copy()).norm(dim=1)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.euler_number == 2
    assert float((radii - 0.7).abs().max()) < 2 / 20
    assert mesh.volume == pytest.approx(4 / 3 * math.pi * 0.7**3, rel=0.05)  # positive: normals point outwards


def test_a_torus_has_its_hole():
    vertices, tetrahedra = tetrahedral_grid(24)
    ring = torch.stack([vertices[:, :2].norm(dim=1) - 0.6, vertices[:, 2]], 1).norm(dim=1)
    mesh = mesh_of(vertices, ring - 0.25, tetrahedra)
    assert mesh.is_watertight and mesh.euler_number == 0


def test_every_sign_pattern_is_turned_outwards():
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for code in range(1, 15):
        sdf = torch.tensor([-1.0 if code >> i & 1 else 1.0 for i in range(4)])
        surface, faces = marching_tetrahedra(vertices, sdf, torch.arange(4)[None])
        a, b, c = surface[faces].unbind(1)
        normals = torch.linalg.cross(b - a, c - a)
        outwards = vertices[sdf > 0].mean(0) - vertices[sdf < 0].mean(0)
        assert (normals @ outwards > 0).all(), code


def test_vertices_have_gradients_to_distances_and_places():
    vertices, tetrahedra = tetrahedral_grid(24)
    vertices.requires_grad_()
    radius = torch.tensor(0.6, requires_grad=True)
    surface, _ = marching_tetrahedra(vertices, vertices.detach().norm(dim=1) - radius, tetrahedra)
    mean = surface.norm(dim=1).mean()
    mean.backward()
    # growing the radius moves the surface outwards at about the same pace
    assert float(radius.grad) == pytest.approx(1.0, abs=0.1) and vertices.grad.abs().sum() > 0


def test_without_a_sign_change_there_is_no_surface():
    vertices, tetrahedra = tetrahedral_grid(4)
    surface, faces = marching_tetrahedra(vertices, torch.ones(len(vertices)), tetrahedra)
    assert len(surface) == 0 and faces.shape == (0, 3)
