select
    attribution_id,
    zone_id,
    zone,
    region,
    entreprise_id,
    secteur,
    niveau_risque,
    attribuee_le,
    {{ year_of('attribuee_le') }} as annee,
    {{ month_of('attribuee_le') }} as mois,
    statut = 'active' as est_active,
    surface_ha,
    investissement,
    exportee_le
from {{ ref('stg_sig__attributions') }}
