import { describe, expect, test } from "vitest";
import { layOut } from "./arrange";
import { positionsOf, viewportAt, viewportOf, type Box, type Layout, type Point } from "./layout";
import { graphOf } from "./model";
import { linkWord, linkedPorts, portsOf, portWord } from "./ports";
import { routeLinks } from "./routes";
import { ladder, sampleDefinition } from "./sample";
import { neighboursOf, nextStep, readingOrder } from "./traverse";
import { duration, roughly, runLook, stepLook } from "./words";

const definition = sampleDefinition();
const graph = graphOf(definition, "run");
const layout = layOut(graph);

describe("ports", () => {
  test("a gate that asks for a form has other ports than one that approves", () => {
    expect(portsOf({ kind: "gate", type: "fill", name: "F", question: "?", contract: {} })).toEqual([
      "filled",
      "expired",
    ]);
    expect(portsOf({ kind: "gate", type: "review", name: "R", question: "?", contract: {} })).toContain(
      "returned",
    );
  });

  test("a router's ports carry the titles of its routes", () => {
    const router = definition.steps.amount;
    expect(router && portWord(router, "above")).toBe("> €5,000.00");
    expect(router && portWord(router, "default")).toBe("otherwise");
  });

  test("only a link that a condition or a result decides has a word", () => {
    expect(linkWord(definition, "start.next-extract")).toBe("");
    expect(linkWord(definition, "coverage.next-all")).toBe("");
    expect(linkWord(definition, "coverage.not_found-declined")).toBe("not found");
    expect(linkWord(definition, "amount.default-letter")).toBe("otherwise");
    expect(linkWord(definition, "approve.approved-letter")).toBe("approved");
  });

  test("linked ports come in drawing order", () => {
    expect(linkedPorts(definition, "approve")).toEqual(["approved", "rejected"]);
  });
});

describe("model", () => {
  test("the order of keys in the document changes nothing", () => {
    const turned = {
      ...definition,
      steps: Object.fromEntries(Object.entries(definition.steps).reverse()),
      links: Object.fromEntries(Object.entries(definition.links).reverse()),
    };
    expect(graphOf(turned, "run")).toEqual(graph);
    expect(layOut(graphOf(turned, "run"))).toEqual(layout);
  });

  test("steps that only steer are pills", () => {
    const shapes = Object.fromEntries(graph.steps.map((step) => [step.id, step.shape]));
    expect(shapes).toMatchObject({ start: "pill", all: "pill", amount: "pill", settled: "pill" });
    expect(shapes).toMatchObject({ extract: "card", approve: "card" });
  });
});

describe("layout", () => {
  test("no two steps overlap", () => {
    for (const places of [layout, layOut(graphOf(ladder(60), "run"))]) {
      const boxes = Object.values(places.boxes);
      for (const [index, box] of boxes.entries()) {
        for (const other of boxes.slice(index + 1)) expect(overlap(box, other)).toBe(false);
      }
    }
  });

  test("every link leads downwards", () => {
    for (const link of graph.links) {
      const source = layout.boxes[link.source];
      const target = layout.boxes[link.target];
      expect(target?.y).toBeGreaterThan(source?.y ?? Infinity);
    }
  });

  test("positions of the document are kept when none is missing", () => {
    const positions = Object.fromEntries(
      graph.steps.map((step, index) => [step.id, { x: index * 300, y: index * 90 }]),
    );
    const { coverage, all } = layOut(graph, positions).boxes;
    expect(coverage?.y).toBe(positions.coverage?.y);
    const middles = [coverage, all].map((box) => (box ? box.x + box.width / 2 : 0));
    expect(middles).toEqual([positions.coverage, positions.all].map((at) => (at?.x ?? 0) + 120));
  });

  test("a step without a position stands below what leads to it, beside the others", () => {
    const positions = positionsOf(layout);
    delete positions.coverage;
    const { coverage, ...others } = layOut(graph, positions).boxes;
    expect(layout.boxes).toMatchObject(others);
    expect(coverage?.y).toBeGreaterThan(others.extract?.y ?? Infinity);
    for (const box of Object.values(others)) expect(coverage && overlap(coverage, box)).toBe(false);
  });

  test("boxes and positions are two words for one place", () => {
    expect(layOut(graph, positionsOf(layout)).boxes).toEqual(layout.boxes);
  });

  test("hundreds of steps are placed", { timeout: 60_000 }, () => {
    const big = graphOf(ladder(300), "run");
    expect(Object.keys(layOut(big).boxes)).toHaveLength(300);
  });
});

describe("the view of everything", () => {
  const frame = { width: 900, height: 500, left: 0 };

  test("all steps are inside the frame and right of what covers it", () => {
    const { x, y, zoom } = viewportOf(layout, { ...frame, left: 240 });
    for (const box of Object.values(layout.boxes)) {
      expect(box.x * zoom + x).toBeGreaterThanOrEqual(240);
      expect((box.x + box.width) * zoom + x).toBeLessThanOrEqual(frame.width);
      expect(box.y * zoom + y).toBeGreaterThanOrEqual(0);
      expect((box.y + box.height) * zoom + y).toBeLessThanOrEqual(frame.height);
    }
  });

  test("a small graph is not enlarged, and an empty one does not fail", () => {
    const one = layOut(graphOf(ladder(1), "run"));
    expect(viewportOf(one, frame).zoom).toBe(1);
    expect(viewportOf({ boxes: {}, via: {}, words: {} }, frame).zoom).toBe(1);
  });

  test("a graph too tall to be read begins at the step that matters", () => {
    const tall = layOut(graphOf(ladder(60), "run"));
    expect(viewportOf(tall, frame).zoom).toBeLessThan(0.3);
    const { x, y, zoom } = viewportAt(tall, frame, "s30");
    const box = tall.boxes.s30;
    expect(zoom).toBeGreaterThan(0.6);
    expect((box?.y ?? 0) * zoom + y).toBeGreaterThan(0);
    expect(((box?.y ?? 0) + (box?.height ?? 0)) * zoom + y).toBeLessThan(frame.height);
    expect((box?.x ?? 0) * zoom + x).toBeGreaterThan(0);
    expect(viewportAt(tall, frame, null)).toEqual(viewportOf(tall, frame));
    expect(viewportAt(layout, { ...frame, height: 1200 }, "start").zoom).toBeGreaterThan(0.9);
  });

  test("the first step is not pushed down, the last not up", () => {
    const tall = layOut(graphOf(ladder(60), "run"));
    const top = viewportAt(tall, frame, "s0");
    expect((tall.boxes.s0?.y ?? 0) * top.zoom + top.y).toBeCloseTo(20);
    const end = viewportAt(tall, frame, "s59");
    const last = tall.boxes.s59;
    expect(((last?.y ?? 0) + (last?.height ?? 0)) * end.zoom + end.y).toBeCloseTo(frame.height - 20);
  });
});

describe("routes", () => {
  test("no link runs through a card", () => {
    expectClear(layout);
  });

  test("no link runs through a card when the document gives the positions", () => {
    const positions = Object.fromEntries(
      Object.entries(layout.boxes).map(([id, box]) => [id, { x: box.x, y: box.y }]),
    );
    expectClear(layOut(graph, positions));
  });

  test("no word covers a step or another word", () => {
    const positions = Object.fromEntries(
      Object.entries(layout.boxes).map(([id, box]) => [id, { x: box.x, y: box.y * 1.4 }]),
    );
    for (const places of [layout, layOut(graph, positions)]) {
      const routes = routeLinks(graph, places);
      const words = graph.links
        .filter((link) => link.word)
        .map((link) => {
          const { x, y } = routes[link.id]?.label ?? { x: 0, y: 0 };
          return { id: link.id, x: x - link.word.length * 2.5, y: y - 5, width: link.word.length * 5, height: 10 };
        });
      for (const [index, word] of words.entries()) {
        for (const box of Object.values(places.boxes)) expect(overlap(word, box), word.id).toBe(false);
        for (const other of words.slice(index + 1)) expect(overlap(word, other), word.id).toBe(false);
      }
    }
  });

  test("the word of a link back begins at its lane, beside the cards", () => {
    const looped = structuredClone(definition);
    looped.links["approve.returned-extract"] = { source: "approve", port: "returned", target: "extract", max_rounds: 3 };
    const shape = graphOf(looped, "run");
    const back = shape.links.find((link) => link.isBack);
    const places = layOut(shape);
    const { x, y } = routeLinks(shape, places)[back?.id ?? ""]?.label ?? { x: 0, y: 0 };
    const width = (back?.word.length ?? 0) * 5;
    expect(width).toBeGreaterThan(0);
    const word = { x: x - width / 2, y: y - 5, width, height: 10 };
    for (const box of Object.values(places.boxes)) expect(overlap(word, box)).toBe(false);
    const right = Math.max(...[back?.source, back?.target].map((id) => (places.boxes[id ?? ""]?.x ?? 0) + (places.boxes[id ?? ""]?.width ?? 0)));
    expect(word.x).toBeGreaterThan(right);
  });

  test("links that leave one step leave it at different places", () => {
    const routes = routeLinks(graph, layout);
    const starts = graph.links
      .filter((link) => link.source === "extract")
      .map((link) => /^M([\d.-]+) /.exec(routes[link.id]?.path ?? "")?.[1]);
    expect(new Set(starts).size).toBe(4);
  });

  test("a step beside or above is reached from the side", () => {
    const positions = { ...Object.fromEntries(graph.steps.map((s, i) => [s.id, { x: 0, y: i * 200 }])) };
    positions.start = { x: 0, y: 0 };
    positions.extract = { x: 600, y: 0 };
    const route = routeLinks(graph, layOut(graph, positions))["start.next-extract"];
    expect(route?.path.startsWith("M")).toBe(true);
    expect(route?.path.endsWith(" 26")).toBe(true);
  });
});

describe("moving with the arrow keys", () => {
  test("down and up follow the links", () => {
    expect(nextStep(graph, layout, "start", "down")).toBe("extract");
    expect(nextStep(graph, layout, "extract", "up")).toBe("start");
    expect(nextStep(graph, layout, "settled", "down")).toBeUndefined();
  });

  test("left and right go to the neighbours that share a link", () => {
    const row = ["coverage", "damage", "fraud"].sort(
      (a, b) => (layout.boxes[a]?.x ?? 0) - (layout.boxes[b]?.x ?? 0),
    );
    expect(nextStep(graph, layout, row[0] ?? "", "right")).toBe(row[1]);
    expect(nextStep(graph, layout, row[1] ?? "", "right")).toBe(row[2]);
    expect(nextStep(graph, layout, row[2] ?? "", "left")).toBe(row[1]);
  });

  test("every step can be reached by arrows from the start", () => {
    const seen = new Set(["start"]);
    const open = ["start"];
    for (let id = open.pop(); id; id = open.pop()) {
      for (const direction of ["down", "up", "left", "right"] as const) {
        const next = nextStep(graph, layout, id, direction);
        if (next && !seen.has(next)) {
          seen.add(next);
          open.push(next);
        }
      }
    }
    expect([...seen].sort()).toEqual(graph.steps.map((step) => step.id));
  });

  test("Home and End are the first and the last step in reading order", () => {
    expect(nextStep(graph, layout, "fraud", "first")).toBe("start");
    expect(readingOrder(graph, layout).at(-1)).toBe(nextStep(graph, layout, "fraud", "final"));
  });

  test("a step knows the names of its neighbours", () => {
    expect(neighboursOf(graph, "amount").after.toSorted()).toEqual(["Approve", "Send letter"]);
  });
});

describe("words", () => {
  test("a waiting step says what it waits for", () => {
    expect(stepLook("waiting", "review").word).toBe("Waiting for review");
    expect(stepLook("waiting", "exception").tone).toBe("bad");
    expect(stepLook("waiting", "something new").word).toBe("Waiting");
    expect(stepLook("ready", "worker").word).toBe("Waits for a worker");
    expect(stepLook("ready", "").word).toBe("Ready");
  });

  test("a step that found nothing does not look like a success", () => {
    expect(stepLook("succeeded", "", "not_found")).toMatchObject({ word: "Not found", tone: "caution" });
    expect(stepLook("succeeded", "", "value").tone).toBe("good");
    expect(stepLook("failed", "", "refused").word).toBe("Refused");
  });

  test("every status of a run has a look", () => {
    expect(runLook("rolled_back").word).toBe("Rolled back");
  });

  test.each([
    [400, "0.4 s"],
    [6200, "6.2 s"],
    [31_000, "31 s"],
    [72_000, "1 min 12 s"],
    [59_700, "1 min"],
    [11_100_000, "3 h 5 min"],
    [187_200_000, "2 d 4 h"],
    [-5, "0.0 s"],
  ])("%d ms reads %s", (milliseconds, text) => {
    expect(duration(milliseconds)).toBe(text);
  });

  test("what is left is told in one unit", () => {
    expect(roughly(84_000_000)).toBe("23 h");
  });
});

function expectClear(places: Layout): void {
  const routes = routeLinks(graph, places);
  for (const link of graph.links) {
    const points = sample(routes[link.id]?.path ?? "");
    for (const [id, box] of Object.entries(places.boxes)) {
      if (id === link.source || id === link.target) continue;
      const hit = points.some((point) => inside(point, box));
      expect(hit, `${link.id} runs through ${id}`).toBe(false);
    }
  }
}

function sample(path: string): Point[] {
  const points: Point[] = [];
  let at: Point = { x: 0, y: 0 };
  for (const [, command, rest] of path.matchAll(/([MLC])([^MLC]*)/g)) {
    const n = (rest ?? "").trim().split(/[ ,]+/).map(Number);
    const to = { x: n.at(-2) ?? 0, y: n.at(-1) ?? 0 };
    for (let step = 1; step <= 20 && command !== "M"; step += 1) {
      const t = step / 20;
      const u = 1 - t;
      const [ax, ay, bx, by] = command === "C" ? n : [at.x, at.y, to.x, to.y];
      points.push({
        x: u ** 3 * at.x + 3 * u * u * t * (ax ?? 0) + 3 * u * t * t * (bx ?? 0) + t ** 3 * to.x,
        y: u ** 3 * at.y + 3 * u * u * t * (ay ?? 0) + 3 * u * t * t * (by ?? 0) + t ** 3 * to.y,
      });
    }
    at = to;
  }
  return points;
}

function inside(point: Point, box: Box): boolean {
  return (
    point.x > box.x && point.x < box.x + box.width && point.y > box.y && point.y < box.y + box.height
  );
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
