// Two panes, one camera: meshes with a texture or with colours at the vertices, drawn by raster.js.
(() => {
  "use strict";
  const FIELD = 30 * Math.PI / 180;   // field of view
  const START = { azimuth: 0, elevation: 12, zoom: 1, x: 0, y: 0 };  // from +z, +y up; x, y: shift in pane sides
  const NEAREST = 12, FARTHEST = 0.4; // bounds of the zoom
  const MOVING = 640, SIDE = 900, FINE = 1800;  // most pixels of a side: in motion, at rest, before averaging
  const REST = 140;                   // milliseconds without change before edges are smoothed
  const DIM = { colour: 0.7, shape: 0.3 }, CLAY = 214;  // brightness seen edge on; grey of the shape alone
  const HINT = "Drag or press the arrow keys to turn, plus and minus to zoom, 0 to reset.";

  const root = document.getElementById("viewer"), data = document.getElementById("viewer-meshes");
  const entries = data ? JSON.parse(data.textContent) : window.VIEWER_MESHES;
  if (!root) return;
  if (!entries || !entries.length) {
    root.append(element("p", { className: "caption" }, "The meshes are not in this page, nor in a file beside it."));
    root.hidden = false;
    return;
  }

  const camera = { ...START };
  const distance = 1.04 * Math.max(...entries.map(entry => entry.radius)) / Math.sin(FIELD / 2);
  const labels = [...new Set(entries.map(entry => entry.label))], panes = [];
  let surface = "colour", waiting = 0, resting = 0;

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // ---- meshes

  function bytes(text) {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  }

  function decode(entry) {
    const steps = new Int16Array(bytes(entry.positions).buffer), indices = bytes(entry.indices).buffer;
    const points = Float32Array.from(steps, step => step * entry.scale);
    const faces = entry.vertices > 0xffff ? new Uint32Array(indices) : new Uint16Array(indices);
    const mesh = { points, faces, normals: normals(points, faces, entry.texture ? places(steps) : null) };
    if (entry.texture) {
      mesh.uvs = Float32Array.from(new Uint16Array(bytes(entry.uvs).buffer), step => step / 0xffff);
      load(entry, mesh);
    } else mesh.colours = bytes(entry.colours);
    return mesh;
  }

  function load(entry, mesh) {  // until its texture is there, and if it cannot be read, the shape alone is shown
    const image = new Image();
    image.onload = () => {
      const { width, height } = image, canvas = element("canvas", { width, height });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      mesh.texture = Raster.levels(context.getImageData(0, 0, width, height));
      redraw(panes.filter(pane => pane.entry === entry));
    };
    image.src = entry.texture;
  }

  function places(steps) {  // of every vertex the first at its place: along the seams of a texture there are several
    const first = new Map(), out = new Uint32Array(steps.length / 3);
    for (let i = 0; i < out.length; i++) {
      const place = (steps[3 * i] * 65536 + steps[3 * i + 1]) * 65536 + steps[3 * i + 2];
      if (!first.has(place)) first.set(place, i);
      out[i] = first.get(place);
    }
    return out;
  }

  function normals(points, faces, place) {
    const out = new Float32Array(points.length), of = vertex => 3 * (place ? place[vertex] : vertex);
    for (let f = 0; f < faces.length; f += 3) {
      const a = of(faces[f]), b = of(faces[f + 1]), c = of(faces[f + 2]);
      const ux = points[b] - points[a], uy = points[b + 1] - points[a + 1], uz = points[b + 2] - points[a + 2];
      const vx = points[c] - points[a], vy = points[c + 1] - points[a + 1], vz = points[c + 2] - points[a + 2];
      for (const i of [a, b, c]) {
        out[i] += uy * vz - uz * vy;
        out[i + 1] += uz * vx - ux * vz;
        out[i + 2] += ux * vy - uy * vx;
      }
    }
    for (let i = 0; i < out.length; i += 3) {
      const from = of(i / 3);  // never after i, and if before, of length one already
      const length = Math.hypot(out[from], out[from + 1], out[from + 2]) || 1;
      out[i] = out[from] / length; out[i + 1] = out[from + 1] / length; out[i + 2] = out[from + 2] / length;
    }
    return out;
  }

  // ---- drawing

  function project(mesh, width, height) {
    const a = camera.azimuth * Math.PI / 180, e = camera.elevation * Math.PI / 180;
    const sa = Math.sin(a), ca = Math.cos(a), se = Math.sin(e), ce = Math.cos(e);
    const side = Math.min(width, height), focal = camera.zoom * side / 2 / Math.tan(FIELD / 2);
    const cx = width / 2 + camera.x * side - 0.5, cy = height / 2 + camera.y * side - 0.5;
    const { points, normals, colours, uvs } = mesh, out = new Float32Array(2 * points.length);
    const clay = surface === "shape" || !colours && !mesh.texture, dim = DIM[clay ? "shape" : "colour"];
    for (let i = 0, o = 0; i < points.length; i += 3, o += 6) {
      const x = points[i], y = points[i + 1], z = points[i + 2];
      const w = 1 / (distance - x * sa * ce - y * se - z * ca * ce);
      const facing = Math.abs(normals[i] * sa * ce + normals[i + 1] * se + normals[i + 2] * ca * ce);
      const light = w * (dim + (1 - dim) * facing);
      out[o] = cx + focal * w * (x * ca - z * sa);
      out[o + 1] = cy - focal * w * (y * ce - x * sa * se - z * ca * se);
      out[o + 2] = w;
      if (clay) out[o + 3] = out[o + 4] = out[o + 5] = light * CLAY;
      else if (colours) for (let k = 0; k < 3; k++) out[o + 3 + k] = light * colours[i + k];
      else {
        out[o + 3] = light;
        out[o + 4] = w * uvs[2 * i / 3];
        out[o + 5] = w * uvs[2 * i / 3 + 1];
      }
    }
    return out;
  }

  function draw(pane, fine) {
    const { canvas, entry } = pane;
    const { clientWidth, clientHeight } = canvas, most = (fine ? SIDE : MOVING) / Math.max(clientWidth, clientHeight);
    const ratio = Math.min(devicePixelRatio || 1, 2, most);
    const width = Math.round(clientWidth * ratio), height = Math.round(clientHeight * ratio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const mesh = entry.mesh = entry.mesh || decode(entry);
    const n = fine ? Math.min(3, Math.floor(FINE / Math.max(width, height))) : 1;
    Raster.clear(width * n, height * n);
    Raster.fill(mesh.faces, project(mesh, width * n, height * n), width * n, height * n,
      surface === "colour" ? mesh.texture : null);
    canvas.getContext("2d").putImageData(Raster.average(width, height, n), 0, 0);
    for (const key of ["azimuth", "elevation", "zoom"]) canvas.dataset[key] = +camera[key].toFixed(3);
    pane.stale = false;
  }

  function frame() {
    waiting = 0;
    for (const pane of panes) if (pane.stale) { draw(pane, false); refine(pane); }
  }

  function refine(pane) {
    pane.rough = true;
    clearTimeout(resting);
    resting = setTimeout(settle, REST);
  }

  function settle() {  // one pane at a time, so that a new drag need not wait for both
    const pane = panes.find(pane => pane.rough);
    if (!pane) return;
    draw(pane, true);
    pane.rough = false;
    resting = setTimeout(settle);
  }

  function redraw(changed) {
    for (const pane of changed) pane.stale = true;
    waiting = waiting || requestAnimationFrame(frame);
  }

  // ---- turning

  function move(change) {
    Object.assign(camera, change);
    camera.azimuth = ((camera.azimuth + 180) % 360 + 360) % 360 - 180;
    camera.elevation = Math.max(-90, Math.min(90, camera.elevation));
    const reach = Math.max(0, camera.zoom - 1) / 2;  // a shift never loses the object
    camera.x = Math.max(-reach, Math.min(reach, camera.x));
    camera.y = Math.max(-reach, Math.min(reach, camera.y));
    redraw(panes);
  }

  const turn = (right, down) => move({ azimuth: camera.azimuth - right, elevation: camera.elevation + down });
  const shift = (x, y) => move({ x: camera.x + x, y: camera.y + y });
  const reset = () => move(START);

  function zoom(factor, x = 0, y = 0) {  // what lies at (x, y), in pane sides from the centre, stays there
    const zoom = Math.max(FARTHEST, Math.min(NEAREST, camera.zoom * factor)), by = zoom / camera.zoom;
    move({ zoom, x: x - (x - camera.x) * by, y: y - (y - camera.y) * by });
  }

  function listen(canvas) {
    const held = new Map();
    const place = event => {
      const box = canvas.getBoundingClientRect(), side = Math.min(box.width, box.height);
      return [(event.clientX - box.left - box.width / 2) / side, (event.clientY - box.top - box.height / 2) / side];
    };
    const pinch = () => {
      const [[ax, ay], [bx, by]] = [...held.values()];
      return { x: (ax + bx) / 2, y: (ay + by) / 2, span: Math.hypot(ax - bx, ay - by) };
    };
    canvas.addEventListener("pointerdown", event => {
      if (event.button === 0 && held.size < 2) held.set(event.pointerId, place(event));
    });
    addEventListener("pointermove", event => {
      if (!event.buttons) held.delete(event.pointerId);  // released where no event told us
      if (!held.has(event.pointerId)) return;
      const [x, y] = place(event), [oldX, oldY] = held.get(event.pointerId);
      const before = held.size === 2 && pinch();
      held.set(event.pointerId, [x, y]);
      if (before) {
        const after = pinch();
        zoom(after.span / before.span || 1, before.x, before.y);
        shift(after.x - before.x, after.y - before.y);
      } else if (event.shiftKey) shift(x - oldX, y - oldY);
      else turn(180 * (x - oldX), 180 * (y - oldY));
    });
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, event => held.delete(event.pointerId));
    canvas.addEventListener("wheel", event => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;  // the page scrolls past an unused viewer
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode ? 30 : 1) * (event.ctrlKey ? 5 : 1);
      zoom(Math.exp(-Math.max(-300, Math.min(300, pixels)) / 700), ...place(event));
    }, { passive: false });
    canvas.addEventListener("dblclick", reset);
    canvas.addEventListener("keydown", event => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (arrow && event.shiftKey) shift(0.05 * arrow[0], 0.05 * arrow[1]);
      else if (arrow) turn(6 * arrow[0], 6 * arrow[1]);
      else if (event.key === "+" || event.key === "=") zoom(1.15);
      else if (event.key === "-" || event.key === "_") zoom(1 / 1.15);
      else if (event.key === "0" || event.key === "Home") reset();
      else return;
      event.preventDefault();
    });
  }

  // ---- controls

  const seeds = label => entries.filter(entry => entry.label === label).map(entry => entry.seed);
  const fill = (select, values) => select.replaceChildren(...values.map(value => new Option(value, value)));

  function choose(pane) {
    const { method, sample, canvas, caption } = pane, wanted = sample.value, found = seeds(method.value);
    fill(sample, found);
    sample.value = found.map(String).includes(wanted) ? wanted : found[0];
    pane.entry = entries.find(entry => entry.label === method.value && String(entry.seed) === sample.value);
    const { label, seed, vertices, faces, texture } = pane.entry, count = number => number.toLocaleString("en");
    caption.replaceChildren(element("b", {}, label),
      `, sample ${seed}: ${texture ? "" : `${count(vertices)} vertices, `}${count(faces)} faces${texture ? ", textured" : ""}`);
    canvas.setAttribute("aria-label", `Surface of ${label}, sample ${seed}. ${HINT}`);
    redraw([pane]);
  }

  function addPane(name, entry) {
    const method = element("select", {}), sample = element("select", {});
    const canvas = element("canvas", { tabIndex: 0 }), caption = element("p", { className: "caption" });
    const pane = { method, sample, canvas, caption };
    canvas.setAttribute("role", "img");
    caption.setAttribute("aria-live", "polite");
    method.setAttribute("aria-label", `Method, ${name} pane`);
    sample.setAttribute("aria-label", `Sample, ${name} pane`);
    fill(method, labels);
    method.value = entry.label;
    fill(sample, seeds(entry.label));
    sample.value = entry.seed;
    const choices = element("div", { className: "choices" },
      element("label", {}, "Method ", method), element("label", {}, "Sample ", sample));
    panes.push(pane);
    method.addEventListener("change", () => choose(pane));
    sample.addEventListener("change", () => choose(pane));
    listen(canvas);
    canvas.addEventListener("contextrestored", () => redraw([pane]));
    new ResizeObserver(() => refine(pane)).observe(canvas);
    choose(pane);
    return element("div", { className: "pane" }, choices, canvas, caption);
  }

  const first = entries[0];
  const other = entries.find(entry => entry.label !== first.label && entry.seed === first.seed)
    || entries.find(entry => entry.label !== first.label) || entries[1];
  const mode = element("select", {}, new Option("colour", "colour"), new Option("shape alone", "shape"));
  mode.addEventListener("change", () => { surface = mode.value; redraw(panes); });
  const back = element("button", { type: "button" }, "Reset view");
  back.addEventListener("click", reset);
  root.append(
    element("div", { className: "panes" }, addPane("first", first), ...(other ? [addPane("second", other)] : [])),
    element("div", { className: "tools" }, element("label", {}, "Surface ", mode), back, element("p", {},
      "Drag to turn; pinch, or click and then use the wheel, to zoom; with shift held, drag to move what is " +
      "enlarged; double click to reset. On the keyboard: arrows, + and \u2212, 0.")));
  root.hidden = false;

  for (const place of document.querySelectorAll(".viewer.one")) {  // one object alone, as the page's head shows it
    const { label, seed } = place.dataset, entry = entries.find(each => each.label === label && String(each.seed) === seed);
    if (!entry) continue;
    place.append(addPane("only", entry));
    place.hidden = false;
  }
})();
