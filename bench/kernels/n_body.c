/* Bodies that attract each other, in small steps of time. */
#define SIZE 2000000
#include "kernel.h"
#include <math.h>
enum { BODIES = 9 };

struct body {
    double place[3], speed[3], mass;
};

static void attract(struct body *one, struct body *other, double time) {
    double way[3], square = 0.01;
    for (int axis = 0; axis < 3; axis++) {
        way[axis] = one->place[axis] - other->place[axis];
        square += way[axis] * way[axis];
    }
    double force = time / (square * sqrt(square));
    for (int axis = 0; axis < 3; axis++) {
        one->speed[axis] -= way[axis] * other->mass * force;
        other->speed[axis] += way[axis] * one->mass * force;
    }
}

int main(int argc, char **argv) {
    int steps = run_size(argc, argv);
    static struct body bodies[BODIES];
    for (int i = 0; i < BODIES; i++) {
        bodies[i].mass = 0.1 + next_fraction();
        for (int axis = 0; axis < 3; axis++) {
            bodies[i].place[axis] = 20 * next_fraction() - 10;
            bodies[i].speed[axis] = next_fraction() - 0.5;
        }
    }
    for (int step = 0; step < steps; step++) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) attract(&bodies[i], &bodies[j], 0.001);
        for (int i = 0; i < BODIES; i++)
            for (int axis = 0; axis < 3; axis++) bodies[i].place[axis] += 0.001 * bodies[i].speed[axis];
    }
    return print_sum(sum_bits(bodies, sizeof bodies));
}
