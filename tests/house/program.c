/* What a user of the installed library writes first. */
#include <linn.h>
#include <stdio.h>

int main(void)
{
    return puts(linn_version()) < 0;
}
