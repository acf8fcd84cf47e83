// Triangles drawn by the processor, so that no graphics driver is needed: colours at the vertices, or a texture.
const Raster = (() => {
  "use strict";
  const SLACK = 1e-6;  // shared edges are drawn twice rather than never
  const ENDS = 0xff00ff;  // blue and red of a pixel, far enough apart to be added at once
  let depths = new Float32Array(0), pixels = new Uint32Array(0);  // of whichever picture is being drawn

  function clear(width, height) {
    const count = width * height;
    if (depths.length < count) { depths = new Float32Array(count); pixels = new Uint32Array(count); }
    depths.fill(0, 0, count);
    pixels.fill(0, 0, count);
  }

  // Faces, three numbers of vertices each. Per vertex six numbers that are linear on the screen: x, y in pixels, 1 / depth,
  // and, over depth, the colour; or, with a texture, the brightness and the place in it, from its upper left corner.
  function fill(faces, v, width, height, texture) {
    for (let f = 0; f < faces.length; f += 3) {
      const a = 6 * faces[f], b = 6 * faces[f + 1], c = 6 * faces[f + 2];
      const x0 = v[a], y0 = v[a + 1], x1 = v[b] - x0, y1 = v[b + 1] - y0, x2 = v[c] - x0, y2 = v[c + 1] - y0;
      const left = Math.max(0, Math.ceil(x0 + Math.min(0, x1, x2)));
      const right = Math.min(width - 1, Math.floor(x0 + Math.max(0, x1, x2)));
      const top = Math.max(0, Math.ceil(y0 + Math.min(0, y1, y2)));
      const bottom = Math.min(height - 1, Math.floor(y0 + Math.max(0, y1, y2)));
      const area = x1 * y2 - x2 * y1;
      if (left > right || top > bottom || area === 0) continue;
      const px = y2 / area, py = -x2 / area, qx = -y1 / area, qy = x1 / area;
      const w0 = v[a + 2], w1 = v[b + 2] - w0, w2 = v[c + 2] - w0;
      const r0 = v[a + 3], r1 = v[b + 3] - r0, r2 = v[c + 3] - r0;
      const g0 = v[a + 4], g1 = v[b + 4] - g0, g2 = v[c + 4] - g0;
      const b0 = v[a + 5], b1 = v[b + 5] - b0, b2 = v[c + 5] - b0;
      const { texels, across, down } = texture ? texture[level(texture, v, a, b, c, area)] : {};
      for (let y = top; y <= bottom; y++) {
        let p = (left - x0) * px + (y - y0) * py, q = (left - x0) * qx + (y - y0) * qy;
        for (let at = y * width + left, end = y * width + right; at <= end; at++, p += px, q += qx) {
          if (p < -SLACK || q < -SLACK || p + q > 1 + SLACK) continue;
          const w = w0 + p * w1 + q * w2;
          if (w <= depths[at]) continue;
          depths[at] = w;
          let red = (r0 + p * r1 + q * r2) / w, green = (g0 + p * g1 + q * g2) / w, blue = (b0 + p * b1 + q * b2) / w;
          if (texels) {  // between the four texels around the place, in 256ths
            const light = red, i = Math.max(0, Math.min(across - 1, green * across - 0.5));
            const j = Math.max(0, Math.min(down - 1, blue * down - 0.5)), column = i | 0, row = j | 0;
            const di = (i - column) * 256 | 0, dj = (j - row) * 256 | 0, both = di * dj >> 8;
            const here = row * across + column, next = column + 1 < across ? 1 : 0, below = row + 1 < down ? across : 0;
            const one = texels[here], two = texels[here + next], three = texels[here + below];
            const four = texels[here + below + next], k1 = 256 - di - dj + both, k2 = di - both, k3 = dj - both;
            red = light / 256 * ((one & 255) * k1 + (two & 255) * k2 + (three & 255) * k3 + (four & 255) * both);
            green = light / 256 * ((one >> 8 & 255) * k1 + (two >> 8 & 255) * k2 + (three >> 8 & 255) * k3
              + (four >> 8 & 255) * both);
            blue = light / 256 * ((one >> 16 & 255) * k1 + (two >> 16 & 255) * k2 + (three >> 16 & 255) * k3
              + (four >> 16 & 255) * both);
          }
          pixels[at] = 0xff000000 | blue + 0.5 << 16 | green + 0.5 << 8 | red + 0.5;
        }
      }
    }
  }

  // The level of a texture at which about one texel lies behind a pixel of the triangle.
  function level(texture, v, a, b, c, area) {
    const u0 = v[a + 4] / v[a + 2], t0 = v[a + 5] / v[a + 2];
    const u1 = v[b + 4] / v[b + 2] - u0, t1 = v[b + 5] / v[b + 2] - t0;
    const u2 = v[c + 4] / v[c + 2] - u0, t2 = v[c + 5] / v[c + 2] - t0;
    const behind = Math.abs((u1 * t2 - u2 * t1) / area) * texture[0].across * texture[0].down;
    return Math.max(0, Math.min(texture.length - 1, Math.round(Math.log2(behind) / 2)));
  }

  // A texture of ImageData and its halves down to one texel, each the mean of four.
  function levels(image) {
    const out = [{ texels: new Uint32Array(image.data.buffer), across: image.width, down: image.height }];
    for (let { texels, across, down } = out[0]; across > 1 || down > 1; ({ texels, across, down } = out.at(-1))) {
      const half = { across: Math.max(1, across >> 1), down: Math.max(1, down >> 1) };
      half.texels = new Uint32Array(half.across * half.down);
      for (let y = 0, at = 0; y < half.down; y++) for (let x = 0; x < half.across; x++, at++) {
        const upper = 2 * y * across + 2 * x, lower = upper + (down > 1 ? across : 0), next = across > 1 ? 1 : 0;
        const a = texels[upper], b = texels[upper + next], c = texels[lower], d = texels[lower + next];
        const ends = (a & ENDS) + (b & ENDS) + (c & ENDS) + (d & ENDS) + 0x20002 >> 2 & ENDS;
        const green = (a >> 8 & 255) + (b >> 8 & 255) + (c >> 8 & 255) + (d >> 8 & 255) + 2 >> 2;
        half.texels[at] = 0xff000000 | ends | green << 8;
      }
      out.push(half);
    }
    return out;
  }

  function average(width, height, n) {  // of n by n pixels each
    const image = new ImageData(width, height), out = new Uint32Array(image.data.buffer);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      let red = 0, green = 0, blue = 0, seen = 0;
      for (let j = 0; j < n; j++) for (let i = 0, at = (y * n + j) * width * n + x * n; i < n; i++, at++) {
        const colour = pixels[at];
        if (!colour) continue;
        red += colour & 255; green += colour >> 8 & 255; blue += colour >> 16 & 255; seen++;
      }
      out[y * width + x] = seen && (255 * seen / n / n << 24 | blue / seen << 16 | green / seen << 8 | red / seen);
    }
    return image;
  }

  return { clear, fill, levels, average };
})();
