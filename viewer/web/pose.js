// What the rig should do now: a base pose (a clip's frame or one set by the program) plus what the sliders add.

export class PoseMixer {
  constructor(rig, extension) {
    this.rig = rig;
    this.drivers = extension.drivers ?? [];
    this.controls = extension.controls ?? [];
    this.ranges = new Float32Array(2 * rig.expression.length);
    for (const group of extension.groups ?? []) {
      for (const e of group.expressions) this.ranges.set(group.range, 2 * e);
    }
    this.baseExpression = new Float32Array(rig.expression.length);
    this.baseRotations = new Float32Array(rig.rotations.length);
    this.slid = new Float32Array(rig.expression.length);
    this.turned = this.controls.map((control) => new Float32Array(control.turns.length));
  }

  /** Expression values by name or in the rig's order; rotations by joint name or in order, [x, y, z] each. */
  setBase(expression, rotations) {
    this.baseExpression.fill(0);
    this.baseRotations.fill(0);
    fill(this.baseExpression, expression ?? [], 1, (name) => this.rig.expressionIndex(name), 'expression');
    fill(this.baseRotations, rotations ?? [], 3, (name) => this.rig.jointIndex(name), 'joint');
  }

  resetSliders() {
    this.slid.fill(0);
    this.turned.forEach((turns) => turns.fill(0));
  }

  /** Write the sum to the rig. Sliders also turn what their actions drive (eyeLook* the eyes); a base pose is final. */
  apply() {
    const {expression, rotations} = this.rig;
    rotations.set(this.baseRotations);
    for (let e = 0; e < expression.length; e++) {
      const base = this.baseExpression[e];
      const sum = base + this.slid[e];
      expression[e] = Math.max(Math.min(this.ranges[2 * e], base), Math.min(Math.max(this.ranges[2 * e + 1], base), sum));
    }
    for (let d = 0; d < this.drivers.length; d++) {
      const {expression: e, joint, axis, radians} = this.drivers[d];
      this.turn(joint, axis, (expression[e] - this.baseExpression[e]) * radians);
    }
    for (let c = 0; c < this.controls.length; c++) {
      const {joints, turns} = this.controls[c];
      for (let t = 0; t < turns.length; t++) {
        const angle = this.turned[c][t];
        if (angle === 0) continue;
        for (let j = 0; j < joints.length; j++) this.turn(joints[j].joint, turns[t].axis, angle * joints[j].share);
      }
    }
  }

  turn(joint, axis, angle) {
    if (angle === 0) return;
    for (let c = 0; c < 3; c++) this.rig.rotations[3 * joint + c] += axis[c] * angle;
  }
}

function fill(target, values, width, indexOf, kind) {
  const entries = Array.isArray(values) || ArrayBuffer.isView(values)
    ? [...(width > 1 && Array.isArray(values) ? values.flat() : values)].map((value, i) => [i, [value]])
    : Object.entries(values).map(([name, value]) => [width * indexOf(name), width > 1 ? value : [value], name]);
  for (const [at, row, name] of entries) {
    if (at < 0) throw new RangeError(`This avatar has no ${kind} named ${name}.`);
    if (at + row.length > target.length) throw new RangeError(`This avatar has ${target.length / width} ${kind} values.`);
    target.set(row, at);
  }
}
