// The table of a call: order of the tiles, and gaze.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SeatView } from "../../../client_web/js/input/seat_view.js";
import {
  directionOf,
  directionTowards,
  leftToRight,
  WIDEST_RAD,
} from "../../../client_web/js/input/table.js";
import { fromYawPitchRoll, rotate } from "../../../client_web/js/reprojection/quaternion.js";

const SEATS = 4;
const SCREEN = { pixel_m: 0.00026, distance_m: 0.65 };
const EYE = [0, 0.05, 0.7];
const FOV_RAD = 0.5;
const people = (...seats) => seats.map((seat) => ({ seat, directions: [] }));
const seatsOf = (sorted) => sorted.map(({ seat }) => seat);

/** The direction of a face that is turned by these angles (to its own left, upwards): a unit vector. */
const facing = ({ yaw_rad, pitch_rad }) => rotate(fromYawPitchRoll(yaw_rad, -pitch_rad), [0, 0, 1]);

/** The angle between a face's direction and the camera, radians: to the right in the image if positive. */
function past(pose, gaze) {
  const right = rotate(pose.rotation, [1, 0, 0]);
  const back = rotate(pose.rotation, [0, 0, 1]);
  const along = (axis) => axis.reduce((sum, part, i) => sum + part * gaze[i], 0);
  return Math.atan2(along(right), along(back));
}

/** The view of a person from the direction in which that person sees the viewer. */
function viewFrom(direction) {
  const seat = new SeatView();
  seat.setHome(EYE, FOV_RAD);
  seat.turnTo(direction);
  return seat;
}

test("tiles follow the table clockwise, without the missing seats", () => {
  assert.deepEqual(seatsOf(leftToRight(people(0, 1, 2, 3), 0, SEATS)), [1, 2, 3]);
  assert.deepEqual(seatsOf(leftToRight(people(0, 1, 2, 3), 2, SEATS)), [3, 0, 1]);
  assert.deepEqual(seatsOf(leftToRight(people(3, 1, 0), 1, SEATS)), [3, 0]);
  assert.deepEqual(seatsOf(leftToRight(people(2), 2, SEATS)), []);
});

test("a tile on the right is to the person's right, and one above is up", () => {
  const right = directionOf(500, 0, SCREEN);
  assert.ok(Math.abs(right.yaw_rad + Math.atan(0.2)) < 1e-9, String(right.yaw_rad));
  assert.ok(Math.abs(right.pitch_rad) < 1e-12);
  const above = directionOf(0, -250, SCREEN);
  assert.ok(Math.abs(above.pitch_rad - Math.atan(0.1)) < 1e-9);
  assert.equal(directionOf(1e5, 0, SCREEN).yaw_rad, -WIDEST_RAD);
});

test("the default direction is that of the seat, and straight ahead for two people", () => {
  const two = people(0, 1);
  assert.deepEqual(directionTowards(two[1], 0, two, SEATS), { yaw_rad: 0, pitch_rad: 0 });
  const all = people(0, 1, 2, 3);
  const [left, middle, right] = [1, 2, 3].map(
    (seat) => directionTowards(all[0], seat, all, SEATS).yaw_rad,
  );
  assert.ok(left > 0, "seat 1 is on the left of seat 0");
  assert.deepEqual([middle, right], [0, -left]);
  const directions = [{ seat: 0, yaw_rad: 0.1, pitch_rad: 9 }];
  assert.deepEqual(directionTowards({ seat: 1, directions }, 0, two, SEATS), {
    yaw_rad: 0.1,
    pitch_rad: WIDEST_RAD,
  });
});

test("a person who looks at my tile looks at me, and past me when looking at another tile", () => {
  const all = people(0, 1, 2, 3);
  for (const who of all) {
    for (const me of all.filter((person) => person !== who)) {
      const towardsMe = directionTowards(who, me.seat, all, SEATS);
      const { orbit } = viewFrom(towardsMe);
      assert.ok(Math.abs(past(orbit.pose(), facing(towardsMe))) < 1e-9);
      for (const third of all.filter((person) => person !== who && person !== me)) {
        const gaze = facing(directionTowards(who, third.seat, all, SEATS));
        const mine = seatsOf(leftToRight(all, me.seat, SEATS));
        // The face turns to the side on which I see that third person.
        const side = Math.sign(mine.indexOf(third.seat) - mine.indexOf(who.seat));
        assert.equal(Math.sign(past(orbit.pose(), gaze)), side, `${who.seat} ${me.seat}`);
      }
    }
  }
});

test("without tracked eyes, and with eyes straight ahead, the view is that of the seat", () => {
  const direction = { yaw_rad: 0.3, pitch_rad: 0.1 };
  const seat = viewFrom(direction);
  assert.equal(seat.view(0), null);
  const { position: home } = seat.orbit.pose();
  // Eyes in front of the middle, at the distance at which the tile shows the avatar's default view.
  const scale = (2 * seat.window.window.half_m) / (seat.window.side_px * seat.window.pixel_m);
  seat.eyes.measured([0, 0, -EYE[2] / scale], 0);
  for (let at_ms = 0; at_ms < 900; at_ms += 30) seat.view(at_ms);
  const { pose } = seat.view(900);
  home.forEach((part, i) => {
    assert.ok(Math.abs(pose.position[i] - part) < 1e-6, `${pose.position} ${home}`);
  });
  assert.ok(Math.abs(past(pose, facing(direction))) < 1e-6);
});

test("leaning moves the view about the seat's direction, within the range that avatars are trained for", () => {
  const lean = (x) => {
    const seat = viewFrom({ yaw_rad: 0.5, pitch_rad: 0 });
    let view;
    for (let at_ms = 0; at_ms < 3000; at_ms += 30) {
      seat.eyes.measured([x, 0, -0.65], at_ms);
      view = seat.view(at_ms);
    }
    return { ...view, straight: seat.inWindow(view.pose) };
  };
  // The camera's +X is to the viewer's own left.
  const [toTheLeft, toTheRight] = [lean(0.2), lean(-0.2)];
  const yaw = ({ pose: { position } }) => Math.atan2(position[0], position[2]);
  assert.ok(yaw(toTheLeft) < 0.45, String(yaw(toTheLeft)));
  assert.ok(yaw(toTheRight) > 0.55, String(yaw(toTheRight)));
  assert.ok(yaw(lean(-2)) <= (50.001 * Math.PI) / 180, String(yaw(lean(-2))));
  const { straight } = toTheRight;
  assert.ok(Math.abs(yaw({ pose: straight }) + 0.5 - yaw(toTheRight)) < 1e-6);
  const unknown = viewFrom({ yaw_rad: 0.5, pitch_rad: 0 });
  assert.equal(unknown.inWindow(unknown.orbit.pose()), null);
});
