"""Digital hearts: one seeded patient, from anatomy through disease and function to images.

Frame and units everywhere: mm, ms, mV, kPa, mL, g. Origin on the long axis of the left ventricle (LV) in its
valve plane at end-diastole; z from apex to base (the apex has z < 0), x towards the middle of the septum (the
right ventricle lies at +x), y anterior. Angles are atan2(y, x) in radians.
"""
