"""Conversion factors, CODATA 2018. The one place where a unit is converted; formulas belong elsewhere.

Inside meltlake everything is eV, Angstrom, fs, K and amu. A factor is named `<TARGET>_PER_<SOURCE>`:
multiply the source by it to get the target.
"""

BOLTZMANN_EV_PER_K = 8.617333262e-5

EV_PER_ANGSTROM3_PER_KBAR = 6.241509074e-4
EV_PER_ANGSTROM3_PER_BAR = 6.241509074e-7
GPA_PER_KBAR = 0.1
GPA_PER_EV_PER_ANGSTROM3 = 160.2176634
BAR_PER_GPA = 1.0e4

G_PER_CM3_PER_AMU_PER_ANGSTROM3 = 1.66053906660

FS_PER_PS = 1.0e3
ANGSTROM_PER_FS_PER_ANGSTROM_PER_PS = 1.0e-3
EV_PER_AMU_ANGSTROM2_PER_FS2 = 1.0364269656e2

MEV_PER_EV = 1.0e3
NS_PER_DAY_PER_FS_PER_S = 0.0864
